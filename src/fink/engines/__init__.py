"""Engines own the loop: source, plan, commit. The plan is the same in every engine."""
