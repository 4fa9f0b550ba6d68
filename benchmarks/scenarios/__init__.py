"""The scenarios: each puts the same load on several sites in turn, and gives rows of the table."""

from scenarios.databases import far_database, sqlite
from scenarios.many_users import many_users
from scenarios.memory import memory
from scenarios.pages import pages, servers
from scenarios.passwords import flood, passwords
from scenarios.processes import start, workers

SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (pages, servers, sqlite, far_database, many_users, passwords, flood, workers, start, memory)
}
