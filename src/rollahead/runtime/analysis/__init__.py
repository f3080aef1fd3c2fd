"""Offline analysis: forecasts of a latency, recommendations, identification of lags."""
