"""How many statements a mutation costs, the walls and the look at what was written included."""

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
from tests.graph.mutations.test_predictions import given, prediction
from tests.graph.mutations.test_trades import RECORD as TRADE
from tests.graph.mutations.test_trades import TRADE as ONE

# The beginning, who writes, the end of what is announced, and the payload.
AROUND = 4
COSTS = [
    (MORE[0], 1),
    (MORE[1], 1),
    (MORE[2], 1),
    (MORE[3], 1),
    (MORE[4], 2),
    ((TRADE, ONE), 2),
    ((ALERT, {"type": "SYSTEM", "message": "m"}), 1),
    # The coin, its lock, the candles, and four that settle.
    ((CANDLES, {"symbol": "BTC", "candles": [candle(hour) for hour in range(1_000)]}), 7),
    # The coins, the model, the predictions, and the model that is shown beside them; two more for one that is new.
    ((PREDICTIONS, given(*[prediction()] * 500)), 6),
    ((PREDICTIONS, given(*[prediction()] * 500)), 4),
]


async def test_statements_of_a_mutation(all_: People, database_url: URL) -> None:
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
    # With a key: it is taken, and what is answered is kept; the second time it is found instead.
    for cost in (2 + 2, 2):
        with counted(database) as executed:
            await operations.answer(GraphQLRequest(TRADE, {"input": {**ONE, "idempotencyKey": "k"}}, None, caller=ann))
        assert len(executed) == AROUND + cost, executed
    await database.close()
