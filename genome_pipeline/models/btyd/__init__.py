"""Pareto/NBD ("buy till you die"): what purchase histories alone tell."""
