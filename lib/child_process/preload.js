'use strict'

/**
 * What our `fork` has a child load first. Who asks for `interproc/register` himself passes it on to his forks and cluster workers;
 * what came along with us is nobody's business: `process.execArgv` is what the program was started with.
 */

require('../register')

const here = process.execArgv.indexOf(__filename)
if (here > 0 && process.execArgv[here - 1] === '--require') process.execArgv.splice(here - 1, 2)
