package httpapi

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

//go:embed startpage.html
var startPage string

// answerStartPage answers the page that a developer sees at the service's root.
func answerStartPage(c echo.Context) error { return c.HTML(http.StatusOK, startPage) }
