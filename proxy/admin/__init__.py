"""The admin port: metrics, health, and the API for whoever runs the proxy."""
