'use strict'

const stylistic = require('@stylistic/eslint-plugin').default ?? require('@stylistic/eslint-plugin')

const node = {
  globals: Object.fromEntries([
    ...Object.getOwnPropertyNames(globalThis).filter(name => !name.startsWith('_')),
    'require', 'module', 'exports', '__dirname', '__filename'
  ].map(name => [name, 'readonly']))
}
const jest = Object.fromEntries(
  ['describe', 'test', 'it', 'expect', 'beforeAll', 'beforeEach', 'afterAll', 'afterEach', 'jest'].map(name => [name, 'readonly'])
)

module.exports = [
  { ignores: ['target/', 'npm/', 'artifacts/', '.runtimes/', '**/node_modules/', 'lib/binding.js', 'bench/results/', 'fuzz/'] },
  stylistic.configs.customize({ indent: 2, quotes: 'single', semi: false, commaDangle: 'never', braceStyle: '1tbs', arrowParens: false }),
  {
    files: ['**/*.js', '**/*.cjs', '**/*.mjs'],
    languageOptions: { ecmaVersion: 2023, sourceType: 'commonjs', ...node },
    rules: {
      '@stylistic/space-before-function-paren': ['error', 'always'],
      '@stylistic/arrow-parens': ['error', 'as-needed'],
      '@stylistic/max-statements-per-line': ['error', { max: 2 }],
      '@stylistic/multiline-ternary': 'off',
      '@stylistic/no-mixed-operators': 'off',
      '@stylistic/operator-linebreak': ['error', 'after', { overrides: { '?': 'before', ':': 'before', '|': 'before' } }],
      '@stylistic/indent-binary-ops': 'off',
      '@stylistic/rest-spread-spacing': 'off', // A type may stand between the dots and the value.
      '@stylistic/quote-props': ['error', 'as-needed'],
      '@stylistic/quotes': ['error', 'single', { avoidEscape: true }],
      '@stylistic/max-len': ['error', { code: 140, ignoreUrls: true, ignoreRegExpLiterals: true, ignoreStrings: true, ignoreTemplateLiterals: true }],
      'constructor-super': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'getter-return': 'error',
      'no-cond-assign': 'error',
      'no-const-assign': 'error',
      'no-dupe-class-members': 'error',
      'no-dupe-keys': 'error',
      'no-fallthrough': 'error',
      'no-redeclare': 'error',
      'no-self-assign': 'error',
      'no-throw-literal': 'error',
      'no-undef': 'error',
      'no-unreachable': 'error',
      'no-unsafe-finally': 'error',
      'no-unused-vars': ['error', { args: 'none', caughtErrors: 'all' }],
      'no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'valid-typeof': 'error'
    }
  },
  { files: ['**/*.mjs'], languageOptions: { sourceType: 'module' } },
  { files: ['lib/**/*.js', 'bin/**/*.js', 'examples/**/*.js'], rules: { strict: ['error', 'global'] } },
  { files: ['__test__/**'], languageOptions: { globals: jest } }
]
