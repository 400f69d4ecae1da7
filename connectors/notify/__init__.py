"""Ways to reach people: mail and webhooks."""
