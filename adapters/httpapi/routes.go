package httpapi

import (
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"

	"chatkit-session/api"
)

// route adds the middleware and all routes to e.
func (s *server) route(e *echo.Echo, config Config) {
	e.Pre(requestID, s.closeWhenDraining, s.accessLog)
	e.Use(s.securityHeaders, recovered, s.rejectForeignPreflights, s.cors(), releaseWhenAnswered, singleCredential, deadline(config.RequestTimeout))
	api.RegisterHandlersWithOptions(e, s, api.RegisterHandlersOptions{OperationMiddlewares: s.operationMiddleware()})
	e.HEAD(healthPath, s.Health)
	e.HEAD(readyPath, s.Ready)
	e.GET("/openapi.yaml", spec)
	if !config.NoDocs {
		docs := echo.WrapHandler(v5emb.New("chatkit-session", "/openapi.yaml", "/docs"))
		e.GET("/docs", docs, docsHeaders)
		e.GET("/docs/*", docs, docsHeaders)
	}
	if config.StartPage {
		e.GET("/", answerStartPage, docsHeaders)
	}
}
