"""Limits of what is sent: the guard, the follower that keeps speed and acceleration, holds, the rest pose."""
