"""Scopes: inclusion, and agreement with the database."""

from db.models import ApiKey
from graph.identity.scopes import Scope, including


def test_a_scope_includes_the_scopes_before_it() -> None:
    assert {scope: including([scope]) for scope in Scope} == {
        Scope.READ: {Scope.READ},
        Scope.WRITE: {Scope.READ, Scope.WRITE},
        Scope.ADMIN: {Scope.READ, Scope.WRITE, Scope.ADMIN},
    }
    assert including([]) == set()
    assert including([Scope.READ, Scope.WRITE]) == including([Scope.WRITE])


def test_scopes_are_those_of_the_check_constraint() -> None:
    (check,) = [check for check in ApiKey.__table__.constraints if check.name == "ck_api_keys_scopes"]  # type: ignore[attr-defined]
    assert ", ".join(repr(scope.name) for scope in Scope) in str(check.sqltext)
    assert all(scope.name == scope.value for scope in Scope)
