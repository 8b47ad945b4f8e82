"""The composition root: builds every object, opens the task groups, orders the stop."""
