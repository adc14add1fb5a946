"""The root of all mutations. Each mutation is in a file of graph/mutations."""

import strawberry

from graph.mutations.add_cryptocurrency import add_cryptocurrency
from graph.mutations.create_alert import create_alert
from graph.mutations.create_api_key import create_api_key
from graph.mutations.create_strategy import create_strategy
from graph.mutations.login import login
from graph.mutations.logout import logout
from graph.mutations.mark_alerts_read import mark_alerts_read
from graph.mutations.record_candles import record_candles
from graph.mutations.record_predictions import record_predictions
from graph.mutations.record_signal import record_signal
from graph.mutations.record_trade import record_trade
from graph.mutations.refresh import refresh
from graph.mutations.register_model import register_model
from graph.mutations.revoke_api_key import revoke_api_key
from graph.mutations.update_cryptocurrency import update_cryptocurrency
from graph.mutations.update_strategy import update_strategy
from graph.mutations.update_trade import update_trade


@strawberry.type(
    description="The root of all mutations. Each field runs in a transaction of its own, one after the other."
)
class Mutation:
    add_cryptocurrency = add_cryptocurrency
    update_cryptocurrency = update_cryptocurrency
    record_candles = record_candles
    register_model = register_model
    record_predictions = record_predictions
    create_strategy = create_strategy
    update_strategy = update_strategy
    record_signal = record_signal
    record_trade = record_trade
    update_trade = update_trade
    create_alert = create_alert
    mark_alerts_read = mark_alerts_read
    login = login
    refresh = refresh
    logout = logout
    create_api_key = create_api_key
    revoke_api_key = revoke_api_key
