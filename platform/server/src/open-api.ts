import { jsonSchema } from '@salus/core'
import type { Route } from './route.ts'

/** The OpenAPI 3.1 description of `routes`, made from the same values that serve them. */
export function openApi(
  routes: readonly Route[],
  { title, version }: { readonly title: string; readonly version: string },
): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{rest}')
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = operation(route, path)
  }
  return {
    openapi: '3.1.0',
    info: { title, version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      securitySchemes: { session: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: PROBLEM },
    },
  }
}

function operation(route: Route, path: string): unknown {
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map((match) => ({
      name: match[1],
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...Object.entries(route.query ?? {}).map(([name, description]) => ({
      name,
      in: 'query',
      description,
      schema: { type: 'string' },
    })),
  ]
  return {
    summary: route.summary,
    description: `For: ${route.audience}.`,
    ...(route.audience === 'anyone' ? {} : { security: [{ session: [] }] }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined && route.rawBody === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content:
              route.body === undefined
                ? { [route.rawBody ?? 'application/octet-stream']: {} }
                : { 'application/json': { schema: jsonSchema(route.body) } },
          },
        }),
    responses: {
      200: {
        description: 'Done.',
        ...(route.reply === undefined
          ? {}
          : { content: { 'application/json': { schema: jsonSchema(route.reply) } } }),
      },
      default: {
        description: 'An error that names the field, the rule and the mend.',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; safe to program against.' },
    detail: { type: 'string', description: 'Names the field, the rule and the mend.' },
    path: { type: 'string' },
  },
}
