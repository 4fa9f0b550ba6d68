"""The shape of the house: imports point one way, files stay small, and nothing is open that is not on the list."""

import ast
from pathlib import Path

import pytest
from quart import Quart

from app.app_factory import create_app
from app.middleware.public_endpoints import PUBLIC_ENDPOINTS
from conftest import ROOT, SECRET_KEY

SOURCE = ROOT / "src/app"
FILES = sorted(SOURCE.rglob("*.py"))
# A module imports those with a lower rank, or its own package. One that is not listed has rank 0.
RANKS = (
    {"models", "languages", "events", "base_url", "rate"},
    {"services", "forms", "templating", "database_url", "mail_settings", "master"},
    {"words", "config", "preflight", "server", "sweeper"},
    {"middleware"},
    {"letters", "deployment"},
    {"views", "mailer"},
    {"cli", "lifespan"},
    {"app_factory"},
)


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports, `app.models.user` for `from app.models.user import User`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "app":
            found |= {f"app.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def rank_of(layer: str) -> int:
    return next((rank for rank, layers in enumerate(RANKS) if layer in layers), 0)


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    layer = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    imported = {module.split(".")[1] for module in imports_of(path) if module.startswith("app.")} - {layer}

    assert [other for other in imported if rank_of(other) >= rank_of(layer)] == []


@pytest.mark.parametrize("layer", ["models", "services", "forms"])
def test_below_the_views_only_the_database_and_the_password_hasher_import_quart(layer: str) -> None:
    knowing = {
        path.name for path in (SOURCE / layer).rglob("*.py") if any("quart" in name for name in imports_of(path))
    }

    assert knowing <= {"core.py", "request_session.py", "passwords.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    nodes = [inner for function in functions_of(path) for inner in ast.walk(function)]

    assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 180
    assert [node.name for node in functions_of(path) if (node.end_lineno or 0) - node.lineno > 30] == []


def test_alembic_is_no_package_of_ours() -> None:
    assert not (ROOT / "alembic/__init__.py").exists()


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return create_app({"SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path), "SECURITY_CONFIRMABLE": True})


def test_every_public_endpoint_exists(app: Quart) -> None:
    assert set(app.view_functions) >= PUBLIC_ENDPOINTS


async def test_every_other_endpoint_needs_a_log_in(app: Quart) -> None:
    client = app.test_client()
    closed = [rule for rule in app.url_map.iter_rules() if rule.endpoint not in PUBLIC_ENDPOINTS]
    assert {"passwords.edit", "passwords.update"} <= {rule.endpoint for rule in closed}
    urls = app.url_map.bind("localhost")

    for rule in closed:
        for method in rule.methods or set():
            answer = await getattr(client, method.lower())(urls.build(rule.endpoint, dict.fromkeys(rule.arguments, 1)))
            assert (answer.status_code, answer.location.split("?")[0]) == (303, "/login"), rule


async def test_a_page_that_somebody_adds_is_closed_until_it_is_on_the_list(app: Quart) -> None:
    app.add_url_rule("/new", view_func=lambda: "secret", endpoint="new")

    assert (await app.test_client().get("/new")).location == "/login?next=/new"
