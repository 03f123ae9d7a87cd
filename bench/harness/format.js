'use strict'

const sizes = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']]
const times = [[1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']]

/** A value with its unit, as people say it: `1.94 M msg/s`, `24.1 µs`, `3.4 GB/s`. */
function formatValue (value, unit) {
  if (unit === 's') return scaled(value, times)
  return unit.startsWith('B') ? scaled(value, sizes) + unit : `${scaled(value, sizes)} ${unit}`
}

/** How far the middle half of the rounds lies around the median: `±4%`. */
function formatSpread (value, [low, high]) {
  return `±${Math.round((high - low) / 2 / value * 100)}%`
}

/** How many times better ours is, whichever direction better is: `5.3×`. */
function formatGain ({ ratio, higherIsBetter }) {
  const gain = higherIsBetter ? ratio : 1 / ratio
  return `${gain.toFixed(gain < 0.995 ? 2 : gain < 9.95 ? 1 : 0)}×`
}

/** The ratio ours / peer, in the words of the target. */
function formatRatio (ratio) {
  return `${digits(ratio)}x`
}

/** What the ratio, or ours, should be. */
function formatTarget ({ target, limit, higherIsBetter, unit }) {
  if (limit !== undefined) return `< ${formatValue(limit, unit)}`
  if (target === undefined) return ''
  return `${higherIsBetter ? '≥' : '≤'} ${target}x`
}

/** 999.6 is printed as 1000, which is said in the next unit. */
function scaled (value, steps) {
  const [step, name] = steps.find(([step]) => value >= step * 0.9995) ?? steps.at(-1)
  return `${digits(value / step)} ${name}`
}

/** Three digits: what is measured here is not known any better. */
function digits (number) {
  if (number >= 99.95) return number.toFixed(0)
  if (number >= 9.995) return number.toFixed(1)
  return number >= 0.0995 ? number.toFixed(2) : number.toFixed(3)
}

module.exports = { formatValue, formatSpread, formatGain, formatRatio, formatTarget }
