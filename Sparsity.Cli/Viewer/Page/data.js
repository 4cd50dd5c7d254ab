// Documents by path: from the page itself where it holds them, else from the server that sent the page.

const token = new URLSearchParams(location.search).get("token");

/** A JSON document; throws an Error with one clear line. */
export async function load(path) {
  const embedded = document.getElementById("document:" + path);
  if (embedded) {
    return JSON.parse(embedded.textContent);
  }
  return answer(await fetch(address(path)));
}

/** Sends JSON to the server and returns its JSON answer. */
export async function post(path, body, signal) {
  return answer(
    await fetch(address(path), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal }),
  );
}

const address = (path) => "api/" + path.split("/").map(encodeURIComponent).join("/") + (token ? "?token=" + encodeURIComponent(token) : "");

async function answer(response) {
  const text = await response.text();
  if (!response.ok) {
    throw new Error(text || `the server answered ${response.status}`);
  }
  return JSON.parse(text);
}
