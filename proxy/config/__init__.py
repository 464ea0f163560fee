"""What the operator writes: settings, YAML with places, overlays, near names."""
