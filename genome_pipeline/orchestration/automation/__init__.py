"""Jobs that a person launches, and schedules and sensors that run by themselves once switched on."""
