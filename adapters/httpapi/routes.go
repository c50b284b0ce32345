package httpapi

import (
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"

	"chatkit-session/api"
)

// route adds the routes and what each request goes through before them.
func (s *server) route(e *echo.Echo, config Config) {
	e.Pre(requestID, s.sendElsewhere, s.accessLog)
	e.Use(s.securityHeaders, recovered, s.refuseForeignPreflights, s.cors(), leaveWhenAnswered, singleCredential, deadline(config.RequestTimeout))
	api.RegisterHandlersWithOptions(e, s, api.RegisterHandlersOptions{OperationMiddlewares: s.admissions()})
	e.HEAD(healthPath, s.Health)
	e.HEAD(readyPath, s.Ready)
	e.GET("/openapi.yaml", spec)
	if !config.NoDocs {
		docs := echo.WrapHandler(v5emb.New("chatkit-session", "/openapi.yaml", "/docs"))
		e.GET("/docs", docs, docsHeaders)
		e.GET("/docs/*", docs, docsHeaders)
	}
	if config.StartPage {
		e.GET("/", showStartPage, docsHeaders)
	}
}
