"""The architecture: imports point one way, files stay small, and a route is closed unless it is declared public."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from quart import Blueprint, Quart
from quart.testing import WebsocketResponseError

from app.app_factory import create_app
from app.auth import public
from app.auth.access import is_public
from support.app import ROOT, SECRET_KEY

SOURCE = ROOT / "src/app"
PATHS = [path for path in sorted(SOURCE.rglob("*.py")) if "tests" not in path.parts and path.name != "conftest.py"]
TREES = {path: ast.parse(path.read_text()) for path in PATHS}
FUNCTIONS = [
    (path.name, node)
    for path, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]
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
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom):
            found |= {f"app.{alias.name}" for alias in node.names} if node.module == "app" else {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def rank_of(layer: str) -> int:
    return next(rank for rank, layers in enumerate(RANKS) if layer in layers)


def wrong_imports(path: Path) -> Iterator[str]:
    layer = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for module in imports_of(path):
        parts = module.split(".")
        if parts[0] == "app" and len(parts) > 1 and parts[1] != layer and rank_of(parts[1]) >= rank_of(layer):
            yield f"{path.relative_to(SOURCE)} imports {module}"


def test_imports_point_one_way() -> None:
    assert [wrong for path in TREES if path != SOURCE / "__init__.py" for wrong in wrong_imports(path)] == []


def test_nothing_imports_a_feature_but_itself() -> None:
    modules = {(path, module) for path in TREES for module in imports_of(path) if module.startswith("app.features.")}

    assert {(path.name, module) for path, module in modules if path.parent.name != module.split(".")[2]} == set()


def test_models_services_and_forms_do_not_import_quart() -> None:
    paths = [path for layer in ("models", "services", "forms") for path in TREES if path.is_relative_to(SOURCE / layer)]

    assert [path.name for path in paths if any("quart" in module for module in imports_of(path))] == []


def test_no_id_is_taken_for_a_time() -> None:
    """The nodes of a Galera cluster count in strides, so a later row may have a lower id: order by a time, then the id.

    The id of a row may follow its time in `order_by`, and may be compared only in a tuple behind it.
    """
    is_id = re.compile(r"\w+\.(c\.)?id(\.(asc|desc)\(\))?").fullmatch
    found = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            first = [ast.unparse(argument) for argument in node.args[:1]] if isinstance(node, ast.Call) else []
            if first and ast.unparse(node).endswith((f".order_by({first[0]})", f"max({first[0]})")) and is_id(first[0]):
                found.append((path.name, ast.unparse(node)))
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                found += [(path.name, ast.unparse(node)) for side in ast.unparse(node).split() if is_id(side)]
    assert found == []


def test_nothing_is_imported_inside_a_function() -> None:
    nodes = [(name, node) for name, function in FUNCTIONS for node in ast.walk(function)]

    assert [name for name, node in nodes if isinstance(node, ast.Import | ast.ImportFrom)] == []


def test_files_and_functions_are_short() -> None:
    assert [path.name for path in TREES if len(path.read_text().splitlines()) > MAX_FILE_LINES] == []
    assert [
        (name, node.name) for name, node in FUNCTIONS if (node.end_lineno or 0) - node.lineno > MAX_FUNCTION_LINES
    ] == []


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return create_app({"SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path), "SECURITY_CONFIRMABLE": True})


def test_the_public_routes_are_those_of_the_reference(app: Quart) -> None:
    pages = [ROOT / "docs/reference/routes.md", *(ROOT / "docs/features").glob("*.md")]
    reference = "".join(page.read_text() for page in pages)
    rows = re.findall(r"^\| ([A-Z, ]+?) \| `(/[^`]*)` \| public", reference, re.MULTILINE)
    rules = [rule for rule in app.url_map.iter_rules() if is_public(app, rule.endpoint)]

    assert {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}} == {
        (method, path) for methods, path in rows for method in methods.split(", ")
    }


async def test_every_other_route_needs_a_login(app: Quart) -> None:
    app.add_url_rule("/api/samples/<int:number>", "closed_api", list, methods=["GET", "POST"])
    app.add_websocket("/samples/changes", "closed_socket", list)
    client, urls = app.test_client(), app.url_map.bind("localhost")
    closed = [rule for rule in app.url_map.iter_rules() if not is_public(app, rule.endpoint)]
    assert {"password_change.edit", "account.delete", "closed_api"} <= {rule.endpoint for rule in closed}

    for rule in closed:
        url = urls.build(rule.endpoint, dict.fromkeys(rule.arguments, 1))
        if rule.websocket:
            with pytest.raises(WebsocketResponseError) as refusal:
                async with client.websocket(urlsplit(url).path) as socket:
                    await socket.receive()
            assert refusal.value.response.status_code == 401, rule
            continue
        for method in rule.methods or set():
            response = await client.open(url, method=method)  # type: ignore[call-arg]
            refused = (401, "") if url.startswith("/api/") else (303, "/login")
            assert (response.status_code, (response.location or "").split("?")[0]) == refused, rule


async def test_a_new_page_is_closed_until_it_is_declared_public(app: Quart, tmp_path: Path) -> None:
    (tmp_path / "samples.css").write_text("body {}")
    samples_bp = Blueprint(
        "samples", __name__, static_folder=str(tmp_path), url_prefix="/samples", static_url_path="/static"
    )

    @samples_bp.get("/list", endpoint="static_list")
    async def closed() -> str:
        return "content"

    @samples_bp.get("/open")
    @public
    async def index() -> str:
        return "content"

    app.register_blueprint(samples_bp)
    client = app.test_client()

    assert (await client.get("/samples/list")).location == "/login?next=/samples/list"
    for path in ("/samples/open", "/samples/static/samples.css"):
        assert (await client.get(path)).status_code == 200
