"""The metrics: what is counted, with which labels. docs/features/metrics.md explains them."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Families:
    """The metrics of a worker. Create them after a fork: the values are in files of the process that counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()  # rejects a name that is used twice
        self.requests = self._counter("http_requests", "Requests", ["method", "endpoint", "status"])
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time until the end of the response",
            ["endpoint"],
            registry=self.registry,
            buckets=LATENCY_BUCKETS_SECONDS,
        )
        self.events = self._counter("site_events", "Events in the log", ["event"])
        self.rate_limited = self._counter("site_rate_limited", "Responses with status 429", ["limit"])
        self._add_database()
        self._add_hashing()
        self._add_process()

    def _add_database(self) -> None:
        pool = ["pool"]
        self.calls = self._counter("site_database_calls", "Calls of db.read and db.write", pool)
        self.wait = self._counter("site_database_wait_seconds", "Time that calls waited for a connection", pool)
        self.busy = self._counter("site_database_busy_seconds", "Time in which connections were in use", pool)
        self.timeouts = self._counter("site_database_wait_timeouts", "Calls that got no connection", pool)
        self.waiting = self._gauge("site_database_calls_waiting", "Calls that wait for a connection", pool)
        self.in_use = self._gauge("site_database_connections_in_use", "Connections in use", pool)
        self.size = self._gauge("site_database_connections_max", "Connections that can be used at once", pool)

    def _add_hashing(self) -> None:
        self.hashed = self._counter("site_hashing_passwords", "Passwords hashed or verified")
        self.hashing = self._counter("site_hashing_seconds", "Time that threads spent hashing")
        self.hashing_wait = self._counter("site_hashing_wait_seconds", "Time that passwords waited for a thread")
        self.hashing_running = self._gauge("site_hashing_running", "Passwords that are being hashed")
        self.hashing_waiting = self._gauge("site_hashing_waiting", "Passwords that wait for a thread")
        self.hashing_threads = self._gauge("site_hashing_threads", "Threads for hashing")

    def _add_process(self) -> None:
        self.workers = self._gauge("site_workers", "Worker processes")
        self.lag = self._counter("site_event_loop_lag_seconds", "Delay of a timer that fires once a second")
        self.cpu = self._counter("site_process_cpu_seconds", "CPU time")
        self.memory = self._gauge("site_process_resident_memory_bytes", "Memory")
        self.files = self._gauge("site_process_open_fds", "Open file descriptors")

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        """Return a gauge that is the sum over the workers that are alive."""
        return Gauge(name, text, labels, registry=self.registry, multiprocess_mode="livesum")
