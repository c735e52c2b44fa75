"""Proof: whether acting on customers did anything."""
