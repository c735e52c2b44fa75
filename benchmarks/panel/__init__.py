"""How good the forecast is on many logs, at rolling dates and several horizons, beside the baselines of the field."""
