"""Number of statements of each mutation, including those of row security and of the payload."""

import orjson
from sqlalchemy import URL

from db.engine import Database
from graph.identity.callers import Caller
from graph.identity.scopes import Scope
from graph.pipeline import Pipeline
from graph.request import GraphQLRequest
from graph.schema import create_schema
from tests.application import context_of, counted
from tests.graph.mutations.people import People
from tests.graph.mutations.test_alerts import CREATE as ALERT
from tests.graph.mutations.test_candles import RECORD as CANDLES
from tests.graph.mutations.test_candles import candle
from tests.graph.mutations.test_idempotency import MORE
from tests.graph.mutations.test_predictions import RECORD as PREDICTIONS
from tests.graph.mutations.test_predictions import prediction, predictions_input
from tests.graph.mutations.test_trades import RECORD as TRADE
from tests.graph.mutations.test_trades import TRADE as ONE

# BEGIN, the viewer, the announcement of the end of the transaction, and the payload.
AROUND = 4
COSTS = [
    (MORE[0], 1),
    (MORE[1], 1),
    (MORE[2], 1),
    (MORE[3], 1),
    (MORE[4], 2),
    ((TRADE, ONE), 2),
    ((ALERT, {"type": "SYSTEM", "message": "m"}), 1),
    # The coin, its lock, the candles, and four statements of settling.
    ((CANDLES, {"symbol": "BTC", "candles": [candle(hour) for hour in range(1_000)]}), 7),
    # The coins, the model, the predictions, and the model of the payload; two more for a new model.
    ((PREDICTIONS, predictions_input(*[prediction()] * 500)), 6),
    ((PREDICTIONS, predictions_input(*[prediction()] * 500)), 4),
]


async def test_number_of_statements_of_each_mutation(all_: People, database_url: URL) -> None:
    database = Database(database_url, pool_size=1, rls_enabled=True)
    operations = Pipeline(create_schema(), context_of(database))
    ann = Caller(all_.ann.user_id, frozenset({Scope.READ, Scope.WRITE}))
    for (mutation, values), cost in COSTS:
        with counted(database) as executed:
            answer = orjson.loads(
                (await operations.answer(GraphQLRequest(mutation, {"input": values}, None, caller=ann))).body
            )
        assert "errors" not in answer, answer
        assert len(executed) == AROUND + cost, executed
    # With an idempotency key: one statement inserts it and one stores the result; a repeated request finds it.
    for cost in (2 + 2, 2):
        with counted(database) as executed:
            await operations.answer(GraphQLRequest(TRADE, {"input": {**ONE, "idempotencyKey": "k"}}, None, caller=ann))
        assert len(executed) == AROUND + cost, executed
    await database.close()
