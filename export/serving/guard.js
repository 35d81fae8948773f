// What nginx cannot say in its configuration: how deep the JSON of a request nests, and errors as JSON.
const DEPTH = 32;

// Whether more than DEPTH brackets nest; those in strings do not count.
function deep(bytes) {
  let now = 0, text = false;
  for (let i = 0, end = bytes.length; i < end; i++) {
    const c = bytes[i];
    if (c === 34) { // "
      text = !text;
    } else if (c === 92) { // a backslash; what it escapes is no bracket and ends no string
      i++;
    } else if (!text && (c === 91 || c === 123)) { // [ {
      if (++now > DEPTH) return true;
    } else if (!text && (c === 93 || c === 125)) { // ] }
      now--;
    }
  }
  return false;
}

function answer(r, status, sentence) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(status, JSON.stringify({error: sentence}));
}

function check(r) {
  if (deep(r.requestBuffer || [])) {
    answer(r, 400, `Expected JSON nested at most ${DEPTH} deep. Received: deeper.`);
  } else {
    r.internalRedirect('@passed');
  }
}

function refuse(r) {
  const status = Number(r.variables.status);
  answer(r, status === 494 ? 431 : status, `The guard refused the request with ${status}.`);
}

export default {check, refuse};
