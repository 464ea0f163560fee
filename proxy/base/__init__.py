"""The ground floor: errors, ids, clock, tasks, secrets, JSON. Imports nothing of ours."""
