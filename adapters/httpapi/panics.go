package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// panicked is the error that a panic is converted to.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovered converts a panic to an error, except http.ErrAbortHandler.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if abort, ok := value.(error); ok && errors.Is(abort, http.ErrAbortHandler) {
				panic(value)
			}
			err = &panicked{value, debug.Stack()}
		}()
		return next(c)
	}
}
