// The two plots, as SVG: steps for the takings after each sale, a bar for each country. And how values are written.

const COUNTRIES_SHOWN = 8, BAR = 30, NAMES = 116, AMOUNTS = 84, TICKS = 70;

export const money = (cents) => (cents / 100).toLocaleString('en', { style: 'currency', currency: 'USD' });

/** Text of a row is never markup. */
export const safe = (text) => String(text ?? 'elsewhere').replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** The time of a moment of today, else its day. */
export function when(moment) {
  const at = new Date(moment);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString('en-GB') : at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
}

/** The takings after each of the last sales. */
export function drawLine(svg, { cents, rows }) {
  const { clientWidth: width, clientHeight: height } = svg;
  const bottom = height - 26;
  let sum = cents - rows.reduce((all, row) => all + row.cents, 0);
  const sums = [sum, ...rows.map((row) => (sum += row.cents))];
  const step = stepOf((sums.at(-1) - sums[0]) || 400);
  const low = Math.floor(sums[0] / step) * step;
  const high = Math.max(Math.ceil(sums.at(-1) / step), low / step + 1) * step;
  const x = (at) => TICKS + (at / Math.max(sums.length - 1, 1)) * (width - TICKS - 8);
  const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - 8);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, at) => low + at * step);
  const grid = ticks.map((tick) => `<line x1="${TICKS}" x2="${width}" y1="${y(tick)}" y2="${y(tick)}"/>`
    + `<text x="${TICKS - 10}" y="${y(tick) + 4}" text-anchor="end">${money(tick).replace('.00', '')}</text>`);
  const steps = sums.map((value, at) => (at ? `H${x(at)}V${y(value)}` : `M${x(0)} ${y(value)}`)).join('');
  const ends = rows.length < 2 ? '' : `<text x="${TICKS}" y="${height - 2}">${when(rows[0].at)}</text>`
    + `<text x="${width}" y="${height - 2}" text-anchor="end">${when(rows.at(-1).at)}</text>`;
  const dots = rows.map(({ at, country }, place) => `<circle cx="${x(place + 1)}" cy="${y(sums[place + 1])}" r="5"><title>`
    + `${money(sums[place + 1])} · ${when(at)} · ${safe(country)}</title></circle>`);
  svg.innerHTML = `${grid.join('')}<path class="area" d="${steps}V${bottom}H${TICKS}Z"/><path d="${steps}"/>${ends}${dots.join('')}`;
}

/** A round step that cuts a span into four or so. */
function stepOf(span) {
  const power = 10 ** Math.floor(Math.log10(span / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => span / step <= 5);
}

/** A bar for each of the first countries, which moves to where it has its place now. */
export function drawBars(svg, countries) {
  const room = svg.clientWidth - NAMES - AMOUNTS;
  const named = [...countries].map(([name, cents]) => [name ?? 'elsewhere', cents]);
  const first = named.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, COUNTRIES_SHOWN);
  const bars = new Map([...svg.children].map((bar) => [bar.dataset.country, bar]));
  for (const [name, bar] of bars) if (!first.some(([kept]) => kept === name)) bar.remove();
  first.forEach(([name, cents], place) => {
    const bar = bars.get(name) ?? newBar(svg, name);
    const long = Math.max(2, room * (cents / (first[0][1] || 1)));
    bar.style.transform = `translate(0, ${place * BAR}px)`;
    bar.querySelector('rect').style.width = `${long}px`;
    const amount = bar.querySelector('.amount');
    amount.textContent = money(cents);
    amount.style.transform = `translate(${NAMES + long + 8}px, 17px)`;
  });
}

function newBar(svg, name) {
  svg.insertAdjacentHTML('beforeend', `<g><text class="name" x="${NAMES - 10}" y="17" text-anchor="end">${safe(name)}</text>`
    + `<rect x="${NAMES}" y="3" height="20" rx="3"/><text class="amount"></text></g>`);
  svg.lastElementChild.dataset.country = name;
  return svg.lastElementChild;
}
