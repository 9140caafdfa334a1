// Lines of longitude and latitude with labels at the edges of the map.

const STEPS = [0.1, 0.25, 0.5, 1, 2, 5, 10];

export const graticule = () => new (L.LayerGroup.extend({
  onAdd(map) {
    L.LayerGroup.prototype.onAdd.call(this, map);
    this.map = map;
    map.on("moveend", this.draw, this);
    this.draw();
  },
  draw() {
    this.clearLayers();
    const view = this.map.getBounds();
    const step = STEPS.find((each) => (view.getEast() - view.getWest()) / each <= 9) ?? 20;
    const size = this.map.getSize();
    const line = (from, to) => this.addLayer(L.polyline([from, to], { pane: "lines", className: "base grid", interactive: false }));
    const label = (point, text, kind) => this.addLayer(L.marker(this.map.containerPointToLatLng(point), {
      interactive: false, keyboard: false, pane: "lines", icon: L.divIcon({ className: `degrees ${kind}`, html: text, iconSize: null }),
    }));
    for (let lon = Math.ceil(view.getWest() / step) * step; lon <= view.getEast(); lon += step) {
      line([view.getSouth(), lon], [view.getNorth(), lon]);
      const { x } = this.map.latLngToContainerPoint([view.getCenter().lat, lon]);
      if (x > 30 && x < size.x - 70) label([x, 4], `${degrees(lon)}° ${lon < 0 ? "W" : "E"}`, "top");
    }
    for (let lat = Math.ceil(view.getSouth() / step) * step; lat <= view.getNorth(); lat += step) {
      line([lat, view.getWest()], [lat, view.getEast()]);
      const { y } = this.map.latLngToContainerPoint([lat, view.getCenter().lng]);
      if (y > 30 && y < size.y - 30) label([4, y], `${degrees(lat)}° ${lat < 0 ? "S" : "N"}`, "left");
    }
  },
}))();

const degrees = (value) => Number(Math.abs(value).toFixed(2)).toString();
