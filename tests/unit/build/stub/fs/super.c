: fs/super
