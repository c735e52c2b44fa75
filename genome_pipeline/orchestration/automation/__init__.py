"""What a person launches, and what runs by itself once it is switched on."""
