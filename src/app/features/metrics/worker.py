"""The metrics of one worker, while it serves."""

import asyncio
import os
from collections.abc import AsyncGenerator
from logging import ERROR
from pathlib import Path

from quart import Quart

from app.features.metrics import bind
from app.features.metrics.exporter import Exporter
from app.features.metrics.families import Families
from app.features.metrics.folder import VARIABLE, Folder
from app.features.metrics.recorder import Recorder
from app.features.metrics.sampler import Sampler
from app.lib import logs


def init_app(app: Quart) -> None:
    @app.while_serving
    async def count_while_serving() -> AsyncGenerator[None, None]:
        folder = Folder(Path(os.environ[VARIABLE]))
        try:
            folder.join()
        except OSError as error:  # the site works without its metrics
            logs.record("metrics_unavailable", level=ERROR, reason=str(error))
            yield
            folder.leave()
            return
        async for _ in count(app, folder):
            yield
        folder.leave()


async def count(app: Quart, folder: Folder) -> AsyncGenerator[None, None]:
    """Count requests and events, and serve the metrics if no other worker does, until the app stops."""
    families = Families()
    recorder, sampler = Recorder(app, families), Sampler(app, families)
    host, port = bind.parse(app.config)
    exporter = Exporter(app, folder, host=host, port=port)
    observers = app.extensions["request_observers"]
    observers.append(recorder.count_request)
    logs.listeners.append(recorder.count_event)
    tasks = [asyncio.create_task(run()) for run in (sampler.run, exporter.run)]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await exporter.stop()
    sampler.sample()
    logs.listeners.remove(recorder.count_event)
    observers.remove(recorder.count_request)
