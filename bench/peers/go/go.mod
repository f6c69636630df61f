module antiphon/peers

go 1.19
