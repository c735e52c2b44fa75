"""The declarations of every table: columns, types, units, descriptions, keys, bounds, row rules."""
