"""The architecture: imports point one way, files stay small, and a route is closed unless it is declared public."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from quart import Blueprint, Quart

from app.app_factory import create_app
from app.auth import public
from app.auth.access import is_public
from support.app import ROOT, SECRET_KEY

SOURCE = ROOT / "src/app"
FILES = sorted(SOURCE.rglob("*.py"))
# A file imports lower ranks or its own package.
RANKS = (
    {"lib", "default_config"},
    {"models"},
    {"forms"},
    {"services"},
    {"auth"},
    {"mail"},
    {"views", "background"},
    {"cli"},
    {"features"},
    {"app_factory"},
)
MAX_FILE_LINES = 190
MAX_FUNCTION_LINES = 30


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
    return next(rank for rank, layers in enumerate(RANKS) if layer in layers)


def layer_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def wrong_imports(path: Path) -> Iterator[str]:
    layer = layer_of(path)
    for module in imports_of(path):
        parts = module.split(".")
        if parts[0] == "app" and len(parts) > 1 and parts[1] != layer and rank_of(parts[1]) >= rank_of(layer):
            yield f"{path.relative_to(SOURCE)} imports {module}"


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_imports_point_one_way() -> None:
    files = [path for path in FILES if path != SOURCE / "__init__.py"]

    assert [wrong for path in files for wrong in wrong_imports(path)] == []


@pytest.mark.parametrize("layer", ["models", "services", "forms"])
def test_models_services_and_forms_do_not_import_quart(layer: str) -> None:
    imported = {path.name: imports_of(path) for path in (SOURCE / layer).rglob("*.py")}

    assert [name for name, modules in imported.items() if any("quart" in module for module in modules)] == []


def test_nothing_is_imported_inside_a_function() -> None:
    nodes = [(path, node) for path in FILES for function in functions_of(path) for node in ast.walk(function)]

    assert [path.name for path, node in nodes if isinstance(node, ast.Import | ast.ImportFrom)] == []


def test_files_and_functions_are_short() -> None:
    long_files = [path.name for path in FILES if len(path.read_text().splitlines()) > MAX_FILE_LINES]
    functions = [(path.name, node) for path in FILES for node in functions_of(path)]
    long_functions = [
        (name, node.name) for name, node in functions if (node.end_lineno or 0) - node.lineno > MAX_FUNCTION_LINES
    ]

    assert (long_files, long_functions) == ([], [])


def test_the_folder_alembic_is_not_a_package() -> None:
    assert not (ROOT / "alembic/__init__.py").exists()  # it would hide the Alembic package


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return create_app({"SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path), "SECURITY_CONFIRMABLE": True})


def test_the_public_routes_are_those_of_the_reference(app: Quart) -> None:
    rows = re.findall(
        r"^\| ([A-Z, ]+?) \| `(/[^`]*)` \| (\w+)", (ROOT / "docs/reference/routes.md").read_text(), re.MULTILINE
    )
    documented = {(method, rule) for methods, rule, access in rows for method in methods.split() if access == "public"}
    rules = [rule for rule in app.url_map.iter_rules() if is_public(app, rule.endpoint)]

    assert {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}} == {
        (method.strip(","), rule) for method, rule in documented
    }


async def test_every_other_route_needs_a_login(app: Quart) -> None:
    client, urls = app.test_client(), app.url_map.bind("localhost")
    closed = [rule for rule in app.url_map.iter_rules() if not is_public(app, rule.endpoint)]
    assert {"password_change.edit", "account.delete"} <= {rule.endpoint for rule in closed}

    for rule in closed:
        for method in rule.methods or set():
            url = urls.build(rule.endpoint, dict.fromkeys(rule.arguments, 1))
            response = await getattr(client, method.lower())(url)
            assert (response.status_code, response.location.split("?")[0]) == (303, "/login"), rule


async def test_a_new_page_is_closed_until_it_is_declared_public(app: Quart) -> None:
    async def page() -> str:
        return "content"

    async def open_page() -> str:
        return "content"

    app.add_url_rule("/new", view_func=page)
    app.add_url_rule("/open", view_func=public(open_page))
    client = app.test_client()

    assert (await client.get("/new")).location == "/login?next=/new"
    assert (await client.get("/open")).status_code == 200


async def test_the_static_folder_of_a_blueprint_is_public_and_its_views_are_not(app: Quart, tmp_path: Path) -> None:
    (tmp_path / "notes.css").write_text("body {}")
    notes_bp = Blueprint("notes", __name__, static_folder=str(tmp_path), url_prefix="/notes", static_url_path="/static")

    @notes_bp.get("/list", endpoint="static_list")
    async def index() -> str:
        return "content"

    app.register_blueprint(notes_bp)
    client = app.test_client()

    assert (await client.get("/notes/static/notes.css")).status_code == 200
    assert (await client.get("/notes/list")).location == "/login?next=/notes/list"
