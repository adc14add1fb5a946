from db.models import ApiKey
from graph.identity.scopes import Scope, permits


def test_a_scope_includes_those_before_it() -> None:
    included = {scope: [other for other in Scope if scope.includes(other)] for scope in Scope}
    assert included == {
        Scope.READ: [Scope.READ],
        Scope.WRITE: [Scope.READ, Scope.WRITE],
        Scope.ADMIN: [Scope.READ, Scope.WRITE, Scope.ADMIN],
    }


def test_one_that_suffices_is_enough() -> None:
    assert permits([Scope.READ, Scope.WRITE], Scope.READ)
    assert permits([Scope.WRITE], Scope.READ)
    assert not permits([Scope.READ, Scope.WRITE], Scope.ADMIN)
    assert not permits([], Scope.READ)


def test_scopes_are_what_the_database_takes() -> None:
    (check,) = [check for check in ApiKey.__table__.constraints if check.name == "ck_api_keys_scopes"]  # type: ignore[attr-defined]
    assert ", ".join(repr(scope.name) for scope in Scope) in str(check.sqltext)
    assert all(scope.name == scope.value for scope in Scope)
