// Requests to the server that this page comes from; addresses are relative, so that a proxy may put it anywhere.

export async function get(path, signal) {
  const response = await fetch(path, { signal, headers: { accept: "application/json" } });
  if (!response.ok) {
    const detail = await response.json().catch(() => ({}));
    throw new Error(detail.detail ?? `the server answers ${response.status}`);
  }
  return response.json();
}

export const domainPath = (domain, rest = "") => `api/domains/${encodeURIComponent(domain)}${rest}`;

export const tilePath = (frame, product, palette) =>
  `tiles/${frame.domain}/${frame.name}/${frame.kind === "observed" ? "observed" : product}/${frame.lead}/{z}/{x}/{y}.png`
  + `?palette=${palette}&size=512`;
