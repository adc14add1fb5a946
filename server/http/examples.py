"""Example queries for the demo data. GraphiQL opens with them, and `candlegraph serve` prints them."""

LATEST_PRICES = """
# The newest candle of each coin.
query LatestPrices {
  cryptocurrencies {
    nodes { symbol name latest { openTime close volume } }
  }
}
"""

PREDICTIONS_AND_OUTCOMES = """
# Daily candles of a coin, and its predictions: model, prediction, signal and trade in one answer.
query PredictionsAndOutcomes($symbol: String = "BTC") {
  cryptocurrency(symbol: $symbol) {
    name
    candles(interval: D1, from: "now-7d") { openTime open high low close }
    predictions(first: 5, filter: { status: SETTLED }) {
      nodes {
        targetAt predictedPrice
        model { name version }
        actual { price errorPercent directionCorrect }
        signals(first: 2) { nodes { type confidence trades { nodes { side price quantity pnl } } } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

HEALTH = """
# Is everything up, and is the data fresh?
query Health {
  health {
    status
    database { status latencyMs version poolInUse poolSize }
    cache { status backend }
    data { newestCandleAgeSeconds overduePredictions stale { symbol } }
  }
}
"""

EXAMPLES = [LATEST_PRICES, PREDICTIONS_AND_OUTCOMES, HEALTH]
