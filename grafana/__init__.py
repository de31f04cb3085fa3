"""The Grafana dashboards, generated: `python -m grafana` (or `make dashboards`) writes `grafana/dashboards/*.json`."""
