"""Pareto/NBD ("buy till you die"): a model that uses purchase histories alone."""
