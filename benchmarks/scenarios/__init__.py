"""What is measured: each scenario puts the same load on two things in turn, and gives the ratios."""

from scenarios.crowd import crowd
from scenarios.databases import far_database, sqlite
from scenarios.event_loop import calm, event_loop
from scenarios.memory import memory
from scenarios.pages import pages
from scenarios.passwords import passwords
from scenarios.processes import start, workers

SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        pages,
        sqlite,
        far_database,
        crowd,
        passwords,
        calm,
        event_loop,
        workers,
        start,
        memory,
    )
}
