"""A simulated sky: seeded nights of alerts in the surveys' own form, with the truth beside them."""
