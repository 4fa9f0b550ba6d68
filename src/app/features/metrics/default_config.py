"""The settings of the metrics."""

METRICS_BIND = ""  # the bind address for Prometheus, such as 127.0.0.1:9100; if empty, there are no metrics
