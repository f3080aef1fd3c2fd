"""Strategies, drives and delays made from options; extensions found by name; which schedules are feasible."""
