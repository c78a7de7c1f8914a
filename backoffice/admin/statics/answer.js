// This page answers a form that was sent. No answer is kept by the browser, so Back and
// Reload would find none, and ask to send the form once more: they get the page that
// the address has by itself.
history.replaceState(history.state, "", location.href);
