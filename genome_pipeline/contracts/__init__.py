"""What every table holds, said once: columns, types, units, descriptions, keys, bounds, row rules."""
