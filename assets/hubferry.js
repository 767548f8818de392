// What the pages do beyond htmx: they refresh themselves, tail the log, and pick rows.
// All of it is an extra; every page works without.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  // A refusal is a page like any other: show it whole.
  document.addEventListener("htmx:beforeSwap", function (event) {
    var status = event.detail.xhr.status;
    if (status >= 400) {
      event.detail.shouldSwap = false;
      if (event.detail.requestConfig.verb === "get" && !event.target.closest("[data-refresh]")) {
        window.location.assign(event.detail.pathInfo.finalRequestPath);
      }
    }
  });

  // Parts with data-refresh="seconds" ask again, unless the page is hidden, the person has
  // frozen it, or is at work inside.
  var frozen = false;
  function refresh() {
    document.querySelectorAll("[data-refresh]").forEach(function (part) {
      var seconds = Number(part.dataset.refresh);
      var due = Number(part.dataset.due || 0);
      var busy = part.contains(document.activeElement) && document.activeElement !== part;
      if (frozen || document.hidden || busy || !seconds || Date.now() < due) return;
      part.dataset.due = String(Date.now() + seconds * 1000);
      if (due) window.htmx.trigger(part, "refresh");
    });
  }
  window.setInterval(refresh, 1000);

  // Details that were open before a refresh are open after it.
  var open = [];
  document.addEventListener("htmx:beforeSwap", function () {
    open = Array.from(document.querySelectorAll("details[open][id]")).map(function (d) { return d.id; });
  });
  document.addEventListener("htmx:afterSettle", function () {
    open.forEach(function (id) {
      var details = document.getElementById(id);
      if (details) details.open = true;
    });
    count();
  });

  function say(id, text) {
    var line = document.getElementById(id);
    if (line) line.textContent = text;
  }

  // Buttons that freeze the page: aria-pressed tells the state. Sending to HubSpot goes on.
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-freezes]");
    if (!button) return;
    frozen = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(frozen));
    say("live-state", frozen ? "Frozen" : "Live");
    missed = 0;
    var tail = document.getElementById("log-panel");
    if (!frozen && tail) window.htmx.trigger(tail, "refresh");
  });

  // The tail: nothing is added while it is frozen or twice, and no more lines are kept than data-most says.
  var missed = 0;
  document.addEventListener("htmx:sseBeforeMessage", function (event) {
    var id = /^<tr id="([^"]+)"/.exec(event.detail.data || "");
    var shown = id && document.getElementById(id[1]);
    if (shown && !shown.hasAttribute("data-on-its-way")) return event.preventDefault();
    if (shown && !frozen) shown.remove();
    if (!frozen) return;
    event.preventDefault();
    missed += 1;
    say("live-state", "Frozen, " + missed + " new");
  });
  document.addEventListener("htmx:sseMessage", function (event) {
    var body = event.target;
    var most = Number(body.dataset.most || 200);
    while (body.rows && body.rows.length > most) body.deleteRow(-1);
    var empty = document.getElementById("log-empty");
    if (empty) empty.hidden = true;
  });
  document.addEventListener("htmx:sseError", function () { say("live-state", "Connection lost, trying again"); });
  document.addEventListener("htmx:sseOpen", function () { say("live-state", frozen ? "Frozen" : "Live"); });

  // Picking rows.
  function count() {
    var form = document.getElementById("rows");
    if (!form) return;
    var picked = form.querySelectorAll("input[name=id]:checked").length;
    var all = form.querySelector("input[name=all]");
    say("picked", all && all.checked ? "All matching rows are selected" : picked + " selected");
    var head = document.getElementById("pick-page");
    var boxes = form.querySelectorAll("input[name=id]").length;
    if (head) {
      head.checked = boxes > 0 && picked === boxes;
      head.indeterminate = picked > 0 && picked < boxes;
    }
  }
  document.addEventListener("change", function (event) {
    var box = event.target;
    if (box.id === "pick-page") {
      document.querySelectorAll("#rows input[name=id]").forEach(function (b) { b.checked = box.checked; });
    }
    if (box.closest("#rows")) count();
    if (box.form && box.form.matches("[data-submit-on-change]")) box.form.requestSubmit();
  });
  document.addEventListener("DOMContentLoaded", count);
})();
