"""Blueprints: parse, call, answer."""
