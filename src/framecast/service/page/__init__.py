"""The page for forecasters: static files, which `service.http` serves. Leaflet 1.9.4 lies in `leaflet/`, with its licence."""
