"""The settings of the metrics."""

METRICS_BIND = ""  # where Prometheus reads the metrics, such as 127.0.0.1:9100; empty: no metrics
